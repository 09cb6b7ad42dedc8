//! Background jobs on RabbitMQ and Redis: the producer SDK.
