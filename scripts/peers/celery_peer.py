"""Celery as a peer: `celery_peer.py work WARM JOBS` or `celery_peer.py produce COUNT`.

PEER_AMQP_URL, PEER_REDIS_URL and PEER_QUEUE say where. PEER_FULL=1 asks for what Longshore always does: confirms,
acknowledgement after the end, the started state, a result. Without it Celery is as it comes, with results in Redis.
"""

import glob
import mmap
import os
import struct
import sys
import threading
import time

from celery import Celery

FULL = os.environ.get("PEER_FULL") == "1"
COUNTS = os.environ["PEER_FOLDER"]

app = Celery("peer", broker=os.environ["PEER_AMQP_URL"], backend=os.environ["PEER_REDIS_URL"])
app.conf.update(
    task_default_queue=os.environ["PEER_QUEUE"],
    broker_connection_retry_on_startup=True,
    # What it prints is for whoever measures.
    worker_redirect_stdouts=False,
)
if FULL:
    app.conf.update(
        broker_transport_options={"confirm_publish": True},
        task_acks_late=True,
        task_track_started=True,
    )

counted = None


def count():
    """Each process of the pool counts in a file of its own, so that none waits for another."""
    global counted
    if counted is None:
        with open(os.path.join(COUNTS, f"{os.getpid()}.count"), "w+b") as file:
            file.write(bytes(8))
            file.flush()
            counted = mmap.mmap(file.fileno(), 8)
    (number,) = struct.unpack("Q", counted[:8])
    counted[:8] = struct.pack("Q", number + 1)


@app.task(name="peer.nothing")
def nothing(text, number):
    count()
    return number


def done():
    total = 0
    for path in glob.glob(os.path.join(COUNTS, "*.count")):
        with open(path, "rb") as file:
            data = file.read(8)
        total += struct.unpack("Q", data)[0] if len(data) == 8 else 0
    return total


def tell(warm, jobs):
    for wanted in (warm, warm + jobs):
        while done() < wanted:
            time.sleep(0.005)
        print(f"done {time.time()}", flush=True)


def work(warm, jobs):
    from celery.signals import worker_ready

    @worker_ready.connect(weak=False)
    def ready(**_):
        print("ready", flush=True)
        threading.Thread(target=tell, args=(warm, jobs), daemon=True).start()

    app.worker_main(["worker", "--loglevel=CRITICAL", "--without-gossip", "--without-mingle"])


def produce(count):
    app.connection_for_write().ensure_connection()
    print(f"start {time.time()}", flush=True)
    for number in range(count):
        nothing.delay("x" * 24, number)
    print(f"sent {time.time()}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(int(sys.argv[2]), int(sys.argv[3]))
    else:
        produce(int(sys.argv[2]))
