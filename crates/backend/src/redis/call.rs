//! Putting one call of a script together.

use longshore_core::clock::{Timestamp, duration_millis};
use longshore_core::id::{JobId, Nonce};
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::port::enqueue::NewJob;
use redis::{Arg, Cmd, ToRedisArgs};

use super::reply::pack;
use super::script::Script;

/// Most bytes of payloads in one call: a larger one would hold everybody else up.
const CALL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A call of a script.
#[derive(Debug)]
pub(super) struct Call {
    script: &'static Script,
    key: String,
    cmd: Cmd,
    is_reading: bool,
}

/// The keys of a shard all begin with this; the braces make them one slot of a cluster.
pub(super) fn prefix(shard: u16) -> String {
    format!("{{s{shard:02}}}:")
}

impl Call {
    /// A call for a shard. Its first argument becomes the shard's epoch if it has none.
    pub(super) fn new(script: &'static Script, shard: u16) -> Self {
        let mut call = Self::with_keys(script, &[&format!("{}meta", prefix(shard))]);
        // 0 stands for "no epoch" in messages.
        call.arg(rand::random::<u64>().max(1));
        call
    }

    pub(super) fn with_keys<K: AsRef<str>>(script: &'static Script, keys: &[K]) -> Self {
        Self::by(redis::cmd("EVALSHA"), script, keys)
    }

    /// A call that changes nothing: the rights to read its keys are enough.
    pub(super) fn reading<K: AsRef<str>>(script: &'static Script, keys: &[K]) -> Self {
        Self {
            is_reading: true,
            ..Self::by(redis::cmd("EVALSHA_RO"), script, keys)
        }
    }

    fn by<K: AsRef<str>>(mut cmd: Cmd, script: &'static Script, keys: &[K]) -> Self {
        cmd.arg(script.sha()).arg(keys.len());
        for key in keys {
            cmd.arg(key.as_ref());
        }
        Self {
            script,
            key: keys.first().map_or("", AsRef::as_ref).to_owned(),
            cmd,
            is_reading: false,
        }
    }

    /// What is called, for whoever observes.
    pub(super) fn operation(&self) -> &'static str {
        self.script.name()
    }

    /// The first key: where a cluster runs the script.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The call by the script's name.
    pub(super) fn by_name(&self) -> &Cmd {
        &self.cmd
    }

    /// The same call with the script's text, which the server then knows.
    pub(super) fn by_text(&self) -> Cmd {
        let mut cmd = if self.is_reading {
            redis::cmd("EVAL_RO")
        } else {
            redis::cmd("EVAL")
        };
        cmd.arg(self.script.source());
        for arg in self.cmd.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                cmd.arg(bytes);
            }
        }
        cmd
    }

    pub(super) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.cmd.arg(arg);
        self
    }

    /// Nothing is an empty argument.
    pub(super) fn opt(&mut self, arg: Option<impl ToRedisArgs>) -> &mut Self {
        match arg {
            Some(arg) => self.arg(arg),
            None => self.arg(""),
        }
    }

    pub(super) fn id(&mut self, id: JobId) -> &mut Self {
        self.arg(&*id.uuid().simple().encode_lower(&mut uuid::Uuid::encode_buffer()))
    }

    pub(super) fn nonce(&mut self, nonce: Nonce) -> &mut Self {
        self.arg(nonce.0.to_be_bytes().as_slice())
    }

    pub(super) fn time(&mut self, time: Timestamp) -> &mut Self {
        self.arg(time.millis())
    }

    pub(super) fn duration(&mut self, duration: std::time::Duration) -> &mut Self {
        self.arg(duration_millis(duration))
    }

    /// New jobs of which none has parents, in groups of what they have in common, as the script `enqueue` reads them.
    pub(super) fn groups(&mut self, jobs: &[NewJob]) -> &mut Self {
        for group in jobs.chunk_by(is_alike) {
            if let [first, ..] = group {
                self.arg(group.len()).shared(first);
            }
            for job in group {
                self.id(job.id)
                    .arg(format!("{:016x}", job.fingerprint))
                    .time(job.created_at)
                    .arg(&*job.envelope);
            }
        }
        self
    }

    /// What the jobs of a group have in common.
    fn shared(&mut self, job: &NewJob) -> &mut Self {
        self.arg(job.function_name.as_str())
            .arg(job.name.as_deref().unwrap_or_default())
            .arg(job.queue.as_str())
            .arg(job.priority.level())
            .opt((!job.tags.is_empty()).then(|| pack(&job.tags)))
            .opt(job.run_at.map(Timestamp::millis))
            .opt(job.expires_at.map(Timestamp::millis))
            .opt(job.deadline.map(Timestamp::millis))
    }

    /// A new job, as `read_job` in the scripts reads it.
    pub(super) fn job(&mut self, job: &NewJob) -> &mut Self {
        self.id(job.id)
            .arg(format!("{:016x}", job.fingerprint))
            .arg(job.function_name.as_str())
            .arg(job.name.as_deref().unwrap_or_default())
            .arg(job.queue.as_str())
            .arg(job.priority.level())
            .opt((!job.tags.is_empty()).then(|| pack(&job.tags)))
            .time(job.created_at)
            .opt(job.run_at.map(Timestamp::millis))
            .opt(job.expires_at.map(Timestamp::millis))
            .opt(job.deadline.map(Timestamp::millis))
            .arg(&*job.envelope)
            .arg(job.parents.len());
        for parent in &job.parents {
            self.id(parent.id).arg(parent.policy.code());
        }
        self
    }
}

/// Whether two jobs have everything in common that [`Call::groups`] says once.
fn is_alike(one: &NewJob, other: &NewJob) -> bool {
    one.function_name == other.function_name
        && one.queue == other.queue
        && one.priority == other.priority
        && one.name == other.name
        && one.tags == other.tags
        && (one.run_at, one.expires_at, one.deadline) == (other.run_at, other.expires_at, other.deadline)
}

/// Cuts requests into calls: at most [`SCRIPT_JOBS_MAX`] of them and about 4 MiB in each.
pub(super) fn calls<T>(requests: &[T], bytes: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut calls = Vec::new();
    let mut rest = requests;
    while !rest.is_empty() {
        let mut weight = 0_usize;
        let fits = rest
            .iter()
            .take(SCRIPT_JOBS_MAX)
            .take_while(|request| {
                weight = weight.saturating_add(bytes(request));
                weight <= CALL_BYTES_MAX
            })
            .count();
        let (call, left) = rest.split_at(fits.max(1));
        calls.push(call);
        rest = left;
    }
    calls
}

/// A request without a payload.
pub(super) fn light<T>(_: &T) -> usize {
    0
}
