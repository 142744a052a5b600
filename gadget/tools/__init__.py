"""What a person runs on a camera: grabbing, images, plans, power runs, plots."""
