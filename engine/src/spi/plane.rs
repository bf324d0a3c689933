//! Planes: the vocabularies that two bindings can share.

/// A vocabulary that two bindings can share. Bytes is one; each message protocol is another.
pub trait Plane: 'static {
    /// The plane's name in diagnostics.
    const NAME: &'static str;
    /// What a binding offers to bindings that exit to it. One instance a worker; never crosses
    /// threads.
    type Exit: ?Sized + 'static;
}
