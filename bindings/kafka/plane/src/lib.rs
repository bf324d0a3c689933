//! The kafka plane: what a binding that answers from Kafka and one that asks it share
