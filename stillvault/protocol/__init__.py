"""What both programs share and neither owns: wire messages, errors, the life-cycle of a request. Pure: stdlib and msgspec."""
