//! What a binding, guard or vault implements, and what it may use. Read this to write one.

mod plane;

pub use plane::Plane;
