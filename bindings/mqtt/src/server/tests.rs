//! The server between a scripted client and a scripted exit, in one thread, on paused time.

mod aliases;
mod connect;
mod deliver;
mod lifecycle;
mod limits;
mod offer;
mod publish;
mod qos2;
mod routes;
mod script;
mod sessions;
mod subscribe;
mod system;
