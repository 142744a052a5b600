"""GenICam features and their behaviour, one module per SFNC category."""
