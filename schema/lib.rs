//! The JSON Schema fragments of zilla.yaml
