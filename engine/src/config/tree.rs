//! YAML as a tree that remembers positions.
