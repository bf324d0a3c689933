//! The kafka binding: cache_client, cache_server, client
