//! A test's own virtual host on a broker that others use too.

use std::net::SocketAddr;
use std::process::Stdio;

use super::control::{BrokerControl, QueueDepth, binary};
use crate::process::Error;

/// A virtual host that goes away, with all its queues, when dropped.
#[derive(Debug)]
pub struct Vhost {
    control: BrokerControl,
    name: String,
    url: String,
}

impl Vhost {
    pub(super) async fn create(control: BrokerControl, prefix: &str) -> Result<Self, Error> {
        let name = format!("{prefix}-{:08x}", rand::random::<u32>());
        let vhost = binary(&name);
        control
            .eval(&format!(
                "rabbit_vhost:add({vhost}, <<\"testkit\">>), \
                 rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, {vhost}, <<\".*\">>, <<\".*\">>, \
                 <<\".*\">>, <<\"testkit\">>), \
                 true = rabbit_vhost:exists({vhost})"
            ))
            .await?;
        let url = url(control.addr(), &name);
        Ok(Self { control, name, url })
    }

    /// The virtual host's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `amqp://guest:guest@127.0.0.1:port/name`.
    pub fn amqp_url(&self) -> &str {
        &self.url
    }

    /// The same URL for another address, such as a proxy's.
    pub fn amqp_url_at(&self, addr: SocketAddr) -> String {
        url(addr, &self.name)
    }

    /// The broker's plain AMQP address.
    pub fn addr(&self) -> SocketAddr {
        self.control.addr()
    }

    /// The broker's commands. Those for the whole node hurt every test that shares it.
    pub fn control(&self) -> &BrokerControl {
        &self.control
    }

    /// See [`BrokerControl::list_queues`].
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn list_queues(&self) -> Result<Vec<QueueDepth>, Error> {
        self.control.list_queues(&self.name).await
    }

    /// See [`BrokerControl::delete_queue`].
    ///
    /// # Errors
    ///
    /// There is no such queue, or the node does not answer.
    pub async fn delete_queue(&self, queue: &str) -> Result<(), Error> {
        self.control.delete_queue(&self.name, queue).await
    }

    /// See [`BrokerControl::purge_queue`].
    ///
    /// # Errors
    ///
    /// There is no such queue, or the node does not answer.
    pub async fn purge_queue(&self, queue: &str) -> Result<(), Error> {
        self.control.purge_queue(&self.name, queue).await
    }

    /// Closes all connections to this virtual host from the broker's side.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn close_all_connections(&self) -> Result<(), Error> {
        self.control.close_all_connections(&self.name).await
    }

    /// Adds a user with rights (configure, write, read: regular expressions) in this virtual host; returns its
    /// URL. User names are the broker's: take one that no other test takes.
    ///
    /// # Errors
    ///
    /// The user exists, or the node does not answer.
    pub async fn add_user(&self, name: &str, password: &str, rights: [&str; 3]) -> Result<String, Error> {
        self.control.add_user(&self.name, name, password, rights).await?;
        Ok(format!(
            "amqp://{name}:{password}@{}/{}",
            self.control.addr(),
            self.name
        ))
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        let delete = format!("rabbit_vhost:delete({}, <<\"testkit\">>)", binary(&self.name));
        let Ok(mut command) = self.control.eval_command(&delete) else {
            return;
        };
        // Not awaited: the deletion goes on in the broker, and nobody depends on its end. A broker that the test
        // has killed needs none.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        drop(command.spawn());
    }
}

fn url(addr: SocketAddr, vhost: &str) -> String {
    format!("amqp://guest:guest@{addr}/{vhost}")
}
