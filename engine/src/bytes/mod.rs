//! The byte plane: connections that bindings pass along, and the buffers they share.

mod conn;
mod endpoint;
mod pool;

pub use conn::{Accept, Acceptor, Bytes, Conn, ConnMeta, Ended, Io};
pub use endpoint::{Endpoint, EndpointPlane};
pub use pool::{Buffer, BufferPool, READ_SIZE};
