// BullMQ as a peer: `bullmq_peer.js work WARM JOBS` or `bullmq_peer.js produce COUNT`. PEER_REDIS_URL and
// PEER_QUEUE say where.
'use strict';

const { Queue, Worker } = require('bullmq');

const NAME = process.env.PEER_QUEUE;
// Jobs of one addBulk, which is one round trip.
const BULK = 500;
const url = new URL(process.env.PEER_REDIS_URL);
const connection = {
  host: url.hostname,
  port: Number(url.port || 6379),
  username: url.username || undefined,
  password: url.password || undefined,
  db: Number(url.pathname.slice(1) || 0),
  maxRetriesPerRequest: null,
};
const now = () => Date.now() / 1000;

async function work(warm, jobs) {
  let count = 0;
  const marks = new Set([warm, warm + jobs]);
  // The end counts when Redis has the job as completed, not when the handler returns.
  const worker = new Worker(NAME, async (job) => job.data.number, { connection, concurrency: 100 });
  worker.on('completed', () => {
    count += 1;
    if (marks.has(count)) console.log(`done ${now()}`);
  });
  await worker.waitUntilReady();
  console.log('ready');
}

async function produce(count) {
  const queue = new Queue(NAME, { connection });
  await queue.waitUntilReady();
  console.log(`start ${now()}`);
  for (let first = 0; first < count; first += BULK) {
    const bulk = [];
    for (let number = first; number < Math.min(first + BULK, count); number += 1) {
      bulk.push({ name: 'nothing', data: { text: 'x'.repeat(24), number } });
    }
    await queue.addBulk(bulk);
  }
  console.log(`sent ${now()}`);
  await queue.close();
}

const [, , what, first, second] = process.argv;
(what === 'work' ? work(Number(first), Number(second)) : produce(Number(first))).catch((error) => {
  console.error(error);
  process.exit(1);
});
