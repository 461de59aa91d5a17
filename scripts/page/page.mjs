// Opens every view of the page in Chromium and checks it; see scripts/page.sh.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { get } from "node:http";
import { chromium } from "playwright-core";

const { CHROMIUM, ADDRESS, PICTURES, SPEED } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const root = new URL(ADDRESS).origin;
const conversation = "/conversations/5e55a001-0000-4000-8000-000000000000";
const hostile = "/conversations/0badc0de-0000-4000-8000-000000000000";
const hostileIssue = "/issues/15";
const views = ["/", "/calls", "/calls?limit=KIMI_TIMEOUT_SECS", "/cost", "/cost?days=7", "/conversations", "/conversations?q=jitter", conversation, hostile, "/issues", "/issues?status=all&severity=high", "/issues/1", hostileIssue, "/issues/9999"];

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC" });
const page = await context.newPage();
const faults = [];
page.on("console", (m) => { if (m.type() === "error" && !m.text().includes("404")) faults.push(m.text()); });
page.on("pageerror", (e) => faults.push(String(e)));
page.on("request", (r) => { const u = new URL(r.url()); if (u.origin !== root && u.protocol !== "data:") faults.push(`request to ${r.url()}`); });

await page.goto(ADDRESS);
assert.equal(page.url(), root + "/", "the token leaves the address");
assert.ok(!(await page.evaluate(() => document.cookie)), "scripts can't read the cookie");

if (SPEED) {
  for (const view of ["/", "/calls", "/cost", "/conversations", "/issues", "/issues?status=all&q=number+4999", "/calls?limit=KIMI_TIMEOUT_SECS"]) {
    const times = [];
    for (let i = 0; i < 3; i++) {
      const start = performance.now();
      await page.goto(root + view, { waitUntil: "load" });
      times.push(performance.now() - start);
    }
    console.log(`${view}: ${times.map((t) => t.toFixed(0)).join(", ")} ms`);
  }
} else if (PICTURES) {
  const picture = async (view, name, colorScheme, height) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 1280, height });
    await page.goto(root + view);
    await page.waitForTimeout(300);
    await page.screenshot({ path: `${PICTURES}/${name}.png` });
  };
  await picture("/", "page-overview", "light", 900);
  await picture("/issues/1", "page-issue-dark", "dark", 900);
  await picture("/cost", "page-cost-dark", "dark", 1000);
} else {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1280, 800]) {
      await page.setViewportSize({ width, height: 900 });
      for (const view of views) {
        await page.goto(root + view);
        assert.notEqual(await page.title(), "broken", view);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth ? [] :
          [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth && !e.closest(".wide")).map((e) => e.outerHTML.slice(0, 100)));
        assert.deepEqual(wide, [], `${view} at ${width} is wider than the window`);
        for (const plot of await page.locator(".plot").all()) assert.ok(await plot.locator("canvas").count(), `${view}: a plot is not drawn`);
        await page.evaluate(axe); // by the driver, which no policy binds
        const { violations } = await page.evaluate(() => axe.run());
        const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
        assert.deepEqual(serious.map((v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html + " " + n.failureSummary)]), [], `${view} at ${width}, ${colorScheme}`);
      }
    }
  }
  assert.deepEqual(await page.locator("script:not([src])").count(), 0);
  console.log(`${views.length} views at two widths, dark and light: nothing serious`);

  // What is hostile is text: it is there to read, in characters that show what it is.
  for (const view of [hostile, hostileIssue]) {
    await page.goto(root + view);
    const text = await page.locator("main").innerText();
    for (const want of ["<script>document.title", "<img src=", "\\u001b[31m", "\\u202e"]) assert.ok(text.includes(want), `${view} does not show ${want}`);
    assert.doesNotMatch(text, /[\u0000-\u0008\u001b\u202a-\u202e\u2066-\u2069]/, view);
    assert.equal(await page.locator("main script, main img, main iframe").count(), 0, view);
  }
  console.log("hostile text is text");

  // By keyboard alone: Tab reaches everything that can be used, in order, and shows where it is.
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  let reached = 0;
  await page.emulateMedia({ colorScheme: "light" });
  for (const view of views) {
    await page.goto(root + view);
    const usable = await page.evaluate(() => {
      const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
      window.expected = all.filter((e) => e.checkVisibility() || e.className === "skip");
      window.met = [];
      return window.expected.length;
    });
    for (let i = 0; i < usable; i++) {
      await page.keyboard.press("Tab");
      await page.evaluate(() => {
        const e = document.activeElement, style = getComputedStyle(e), inner = e.tabIndex < 0 ? null : style;
        window.met.push([e, inner && (inner.outlineStyle !== "none" || inner.boxShadow !== "none")]);
      });
    }
    const missed = await page.evaluate(() => [
      ...window.expected.filter((e, i) => window.met[i]?.[0] !== e).map((e) => "not in order: " + e.outerHTML.slice(0, 120)),
      ...window.met.filter(([, shown]) => !shown).map(([e]) => "focus is not shown: " + e.outerHTML.slice(0, 120)),
    ].slice(0, 5));
    assert.deepEqual(missed, [], view);
    reached += usable;
  }
  console.log(`by keyboard alone: ${reached} links, fields and tables of ${views.length} views, in order`);

  // The skip link, the menu, a row, back, a search, what is folded away.
  await page.goto(root + "/");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");
  await page.goto(root + "/");
  for (let i = 0; i < 5; i++) await page.keyboard.press("Tab");
  assert.equal(await focused(), "Conversations");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/conversations");
  for (let i = 0; i < 40 && (await focused()) !== "Review the retry loop before release"; i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/conversations/5e55a000*");
  await page.goBack();
  for (let i = 0; i < 10 && (await page.evaluate(() => document.activeElement.id)) !== "q"; i++) await page.keyboard.press("Tab");
  await page.keyboard.type("jitter");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/conversations?q=jitter");
  assert.equal(await page.locator("tbody tr").count(), 1);
  await page.goto(root + "/cost");
  for (let i = 0; i < 40 && (await page.evaluate(() => document.activeElement.tagName)) !== "SUMMARY"; i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.ok(await page.locator("details[open] tbody tr").first().isVisible(), "the figures unfold");
  console.log("by keyboard alone: menu, row, search and figures work");

  // The live list counts down without a reload.
  await page.goto(root + "/");
  const left = () => page.locator("#running td:last-child").first().textContent();
  await page.getByRole("region", { name: "Running calls" }).getByRole("cell", { name: "build-7" }).nth(1).waitFor(); // another machine's
  const before = parseInt(await left());
  await page.waitForFunction((was) => parseInt(document.querySelector("#running td:last-child").textContent) < was, before);
  console.log("the list of running calls is live");

  // Other pages, hosts and browsers get nothing.
  const stranger = await (await browser.newContext()).newPage();
  assert.equal((await stranger.goto(root + "/")).status(), 403, "without the cookie");
  assert.equal((await stranger.goto(ADDRESS)).status(), 403, "the token worked once");
  const other = await context.newPage();
  await other.route("http://elsewhere.test/", (r) => r.fulfill({ contentType: "text/html", body: `<iframe src="${root}/"></iframe><img src="${root}/static/icon.svg">` }));
  const answers = [];
  other.on("response", (r) => { if (r.url().startsWith(root)) answers.push(r.status()); });
  await other.goto("http://elsewhere.test/");
  await other.waitForLoadState("networkidle");
  const got = await other.evaluate((u) => fetch(u).then((r) => r.text(), () => ""), root + "/");
  assert.equal(got, "", "a page of another origin reads nothing");
  assert.ok(answers.every((s) => s === 403), `another origin was answered ${answers}`);
  await other.close();
  const { port } = new URL(root);
  const [cookie] = await context.cookies(root);
  for (const [host, want] of [["evil.example", 403], [`evil.example:${port}`, 403], [`127.0.0.1:${port}`, 200]]) {
    const status = await new Promise((resolve, reject) => {
      get({ host: "127.0.0.1", port, path: "/", headers: { host, cookie: `${cookie.name}=${cookie.value}` } }, (r) => resolve(r.resume().statusCode)).on("error", reject);
    });
    assert.equal(status, want, `with the cookie, under the name ${host}`);
  }
  console.log("other origins and names get nothing");
}
assert.deepEqual(faults, []);
await browser.close();
