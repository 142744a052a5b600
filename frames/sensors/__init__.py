"""Facts of the image sensors, one TOML file each."""
