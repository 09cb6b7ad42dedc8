// Who sees and may do what, in a gateway that asks for a token.
import { AxeBuilder, open } from "../browser.js";
import { assert } from "../check.js";
import { gateway } from "../fleet.js";
import { views } from "../views.js";

async function token(fleet, role) {
  const said = await fleet.cli("-o", "json", "token", "create", `e2e-${role}`, "--role", role);
  return said.match(/ls[a-z]_[A-Za-z0-9_.-]+/)[0];
}

async function signIn(page, base, secret, path = "/") {
  await page.goto(base + path);
  await page.waitForURL(/\/login/);
  await page.getByLabel("Token").fill(secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(base + path);
}

async function rolesHide({ browser, fleet }) {
  const served = await gateway(fleet, { LONGSHORE_GATEWAY__BASE_PATH: "/longshore" });
  const expected = {
    viewer: { enqueue: 0, pause: 0, audit: 0 },
    producer: { enqueue: 1, pause: 0, audit: 0 },
    operator: { enqueue: 1, pause: 1, audit: 1 },
    admin: { enqueue: 1, pause: 1, audit: 1 },
  };
  try {
    for (const [role, wanted] of Object.entries(expected)) {
      const tab = await open(browser);
      await signIn(tab.page, served.base, await token(fleet, role), "/queues");
      const seen = {
        enqueue: await tab.page.locator("#enqueue-link").count(),
        pause: Math.min(1, await tab.page.getByRole("link", { name: "Pause…" }).count()),
        audit: await tab.page.getByRole("link", { name: "Audit log" }).count(),
      };
      assert.deepEqual(seen, wanted, role);
      const refused = async (path) => (await tab.page.request.get(served.base + path, { headers: { accept: "text/html" } })).status();
      assert.equal(await refused("/enqueue"), role === "viewer" ? 403 : 200, `${role} /enqueue`);
      assert.equal(await refused("/dead/discard"), wanted.pause ? 200 : 403, `${role} /dead/discard`);
      assert.equal(await refused("/audit"), role === "admin" || role === "operator" ? 200 : 403, `${role} /audit`);
      await tab.page.locator('#live[data-state="on"]').waitFor();
      assert.deepEqual(tab.problems, [], role);
      await tab.page.getByRole("button", { name: "Sign out" }).click();
      await tab.page.waitForURL(/\/login/);
      await tab.close();
    }
  } finally {
    await served.stop();
  }
}

async function strangersStayOut({ browser, fleet }) {
  const served = await gateway(fleet);
  const tab = await open(browser);
  tab.expected.push(/401/);
  try {
    await tab.page.goto(`${served.base}/jobs?status=failed`);
    await tab.page.waitForURL(/\/login\?next=/);
    const seen = await new AxeBuilder({ page: tab.page }).analyze();
    assert.deepEqual(seen.violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id), []);
    await tab.page.getByLabel("Token").fill("lst_wrong");
    await tab.page.getByRole("button", { name: "Sign in" }).click();
    await tab.page.getByText("the token is wrong").waitFor();
    await tab.page.getByRole("link", { name: "Sign in" }).click();
    await tab.page.waitForURL(/\/login/);
    // A form without the session's token changes nothing, even for somebody who is signed in.
    await signIn(tab.page, served.base, await token(fleet, "admin"));
    const forged = await tab.page.request.post(`${served.base}/queues/default/pause`, { form: { csrf: "forged" } });
    assert.equal(forged.status(), 403);
  } finally {
    await tab.close();
    await served.stop();
  }
}

// Whatever a page leads to or loads stands below the base path, and is there.
async function staysBelowTheBasePath({ browser, fleet }) {
  const served = await gateway(fleet, { LONGSHORE_GATEWAY__BASE_PATH: "/ops/longshore", LONGSHORE_GATEWAY__RATE_LIMIT: "0" });
  const tab = await open(browser);
  try {
    await signIn(tab.page, served.base, await token(fleet, "admin"));
    const found = new Map();
    const loaded = new Set();
    tab.page.on("request", (request) => loaded.add(request.url()));
    for (const { name, path } of (await views(fleet)).filter(({ status }) => !status)) {
      await tab.page.goto(served.base + path, { waitUntil: "load" });
      const links = await tab.page.evaluate(() =>
        [...document.querySelectorAll("[href], [src], form[action], [data-src], [data-base]")].flatMap((element) =>
          [element.href?.baseVal ?? element.href, element.src, element.action, element.dataset.src, element.dataset.base]
            .filter((link) => typeof link === "string" && link && !link.startsWith("#") && !link.startsWith("data:"))
            .map((link) => [new URL(link, location.href).href.split("#")[0], element.method === "post"]),
        ),
      );
      for (const [link, posts] of links) if (!posts) found.set(link, name);
    }
    const outside = [...found.keys(), ...loaded].filter((link) => !link.startsWith(`${served.base}/`) && link !== served.base);
    assert.deepEqual(outside, []);
    const broken = [];
    for (const [link, name] of found) {
      const { origin, pathname } = new URL(link);
      // One of each kind is asked for: ids differ, templates do not.
      const kind = origin + pathname.replace(/[0-9a-f-]{36}/, "ID");
      if (broken.some((seen) => seen.kind === kind)) continue;
      const answer = await tab.page.request.get(link, { headers: { accept: "text/html" } });
      broken.push({ kind, name, link, status: answer.status() });
    }
    assert.deepEqual(broken.filter(({ status }) => status >= 400), []);
    assert.ok(broken.length > 25, `${broken.length} kinds of links`);
  } finally {
    await tab.close();
    await served.stop();
  }
}

export const flows = [
  ["every link and asset stays below the base path, and leads somewhere", staysBelowTheBasePath],
  ["roles hide what they must, and the gateway refuses it too", rolesHide],
  ["strangers are asked for a token, and forged forms are refused", strangersStayOut],
];
