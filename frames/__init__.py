"""Light to electrons to digital numbers to packed bytes, and how long that takes.

    from frames.scene import parse_scene
    from frames.sensor import load_sensor
    from frames.source import FrameSettings, FrameSource

    sensor = load_sensor("imx412")
    source = FrameSource(sensor, parse_scene("conveyor:speed=2000"), seed=40000001, width=4056, height=3040)
    settings = FrameSettings(
        frame=0, time_s=0.0, exposure_us=5000, gain_db=6.0, black_level_dn12=256, offset_x=0, offset_y=0,
        width=4056, height=3040, pixel_format="BayerGR12g24IDS",
    )
    data = bytearray(source.payload_size(4056, 3040, "BayerGR12g24IDS"))
    source.render_into(memoryview(data), settings)

| module                                    | what it knows                                                |
|-------------------------------------------|--------------------------------------------------------------|
| sensor, sensors/*.toml                    | figures of image sensors, each with its source               |
| readout                                   | seconds per frame: sensor, exposure, link                    |
| light                                     | what a scene is; colour filters, rolling shutter, lens, lamp |
| patterns, charts, motion, media, computed | the scenes                                                   |
| spectra                                   | of lamps and of a colour chart                               |
| scene                                     | scenes by name and their text form                           |
| settings, individual                      | what a frame depends on; what tells a sensor from its sister |
| source, noise                             | from light to bytes                                          |
| isp                                       | from Bayer to RGB, as a camera does it                       |
| packing                                   | pixel formats                                                |
| testimages                                | the makers' test images                                      |
| metering, checksum                        | how bright a frame is; the CRC of its bytes                  |
| pool, scene_cache                         | frame buffers; a few frames repeated, for slow machines      |
| pictures, contact                         | from bytes to a picture; a picture of all scenes             |
"""
