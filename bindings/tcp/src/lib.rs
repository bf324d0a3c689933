//! The tcp binding: listens for connections and routes them by port and address
