//! What the tests are made of: one real Kafka, the built binary, clients.

mod bystanders;
mod client;
mod engine;
mod kafka;
mod packet;
mod process;
mod programs;
mod setup;
mod sockets;
mod traffic;
mod volume;

pub(crate) use bystanders::Bystanders;
pub(crate) use client::{
    Client, Connect, V5, V311, Will, identifier, message, text_property, user,
};
pub(crate) use engine::{
    Engine, engine, engine_only, fate, free_port, is_stand_in, run_zilla, zilla,
};
pub(crate) use kafka::{
    Record, Records, Topics, clients, hex, is_embedded, kafka, kafka_only, root, text,
};
pub(crate) use packet::{
    Packet, Property, Publish, Reader, Value, put_bytes, put_properties, put_var,
};
pub(crate) use process::{PATIENCE, Process};
pub(crate) use programs::{
    LIBRARIES, Library, Script, mosquitto_message, mosquitto_pub, mosquitto_sub,
    mosquitto_sub_again,
};
pub(crate) use setup::{Setup, fill};
pub(crate) use sockets::Sockets;
pub(crate) use traffic::Traffic;

/// Runs each of these functions as two tests: on one worker and on three.
macro_rules! on_one_and_three_workers {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[test]
            fn on_one_worker() {
                super::$name(1);
            }

            #[test]
            fn on_three_workers() {
                super::$name(3);
            }
        })*
    };
}
pub(crate) use on_one_and_three_workers;
