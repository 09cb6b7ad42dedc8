// A real `longshore dev` on a free loopback port, in a folder of its own, ended by its own process id.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const binary =
  process.env.LONGSHORE_BIN ?? new URL("../../target/debug/longshore", import.meta.url).pathname;

const clean = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("LONGSHORE_")));

function said(child, pattern, what) {
  return new Promise((found, failed) => {
    let text = "";
    const timer = setTimeout(() => failed(new Error(`${what} did not start:\n${text}`)), 30000);
    const read = (chunk) => {
      text += chunk;
      const match = text.match(pattern);
      if (match) {
        clearTimeout(timer);
        found(match);
      }
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", (code) => failed(new Error(`${what} ended with ${code}:\n${text}`)));
  });
}

function end(child, signal = "SIGTERM") {
  return new Promise((done) => {
    if (child.exitCode !== null) return done();
    child.on("exit", done);
    child.kill(signal);
    setTimeout(() => child.kill("SIGKILL"), 15000).unref();
  });
}

// `args` go to `longshore dev`, `env` is added to its environment.
export async function dev(args = [], env = {}) {
  const folder = mkdtempSync(join(tmpdir(), "longshore-e2e-"));
  const child = spawn(binary, ["--embedded", join(folder, "store"), "dev", "--listen", "127.0.0.1:0", ...args], {
    cwd: folder,
    env: { ...clean(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [address] = await said(child, /http:\/\/127\.0\.0\.1:\d+\S*/, "longshore dev");
  const base = address.replace(/\/$/, "");
  return {
    base,
    folder,
    store: join(folder, "store"),
    // Runs a command of the CLI beside it; answers what it printed.
    cli: (...words) => command(["--embedded", join(folder, "store"), ...words], folder),
    // With SIGKILL where nobody waits for what runs.
    stop: async (signal) => {
      await end(child, signal);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// A gateway for signed-in people on the same store.
export async function gateway(fleet, env = {}) {
  const child = spawn(binary, ["--embedded", fleet.store, "gateway", "--listen", "127.0.0.1:0"], {
    cwd: fleet.folder,
    env: { ...clean(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [address] = await said(child, /http:\/\/127\.0\.0\.1:\d+\S*/, "longshore gateway");
  return { base: address.replace(/\/$/, ""), stop: () => end(child) };
}

function command(words, cwd) {
  return new Promise((done, failed) => {
    const child = spawn(binary, words, { cwd, env: clean(), stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk) => (out += chunk));
    child.stderr.on("data", (chunk) => (err += chunk));
    child.on("exit", (code) => (code === 0 ? done(out) : failed(new Error(`longshore ${words.join(" ")}: ${code}\n${err}`))));
  });
}
