//! From the text of zilla.yaml to checked values that remember their place.
