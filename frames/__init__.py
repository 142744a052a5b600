"""Light to electrons to digital numbers to packed bytes, and how long that takes."""
