"""The dialects, fed whole, in pieces, cut and spoiled."""
