//! Exits that are only configuration: where another system is, for a client library that makes
//! its own connections.

use crate::spi::Plane;

/// The endpoint plane: held by value, so that a change of the endpoint is a change of the binding
/// that uses it. A client library cannot be handed a connection.
pub struct EndpointPlane;

impl Plane for EndpointPlane {
    const NAME: &'static str = "endpoint";
    type Exit = Endpoint;
}

/// Where to connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The host and port to connect to first, where the file names one; else the client's own
    /// list of servers says.
    pub address: Option<(String, u16)>,
}
