//! E-mail and webhooks for what people must know.
