"""Data: sources (embedded, toy, torchvision's, own files) -> uint8 store -> batches on the training device."""
