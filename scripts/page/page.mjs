// Opens every view of the page in Chromium and checks it; see scripts/page.sh.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { CHROMIUM, ADDRESS, PICTURES, SPEED } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const root = new URL(ADDRESS).origin;
const conversation = "/conversations/5e55a001-0000-4000-8000-000000000000";
const hostile = "/conversations/0badc0de-0000-4000-8000-000000000000";
const views = ["/", "/calls", "/calls?limit=KIMI_TIMEOUT_SECS", "/cost", "/cost?days=7", "/conversations", "/conversations?q=jitter", conversation, hostile, "/issues", "/issues?status=all&severity=high", "/issues/1", "/issues/9999"];

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
    const best = Math.min(...times);
    console.log(`${view}: ${best.toFixed(0)} ms`);
    assert.ok(best < 1000, `${view} took ${best} ms of 1000`);
  }
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

  // By keyboard alone: the skip link, the menu, a row, back, a search.
  await page.goto(root + "/");
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the content");
  for (let i = 0; i < 4; i++) await page.keyboard.press("Tab");
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
  console.log("by keyboard alone: ok");

  // The live list counts down without a reload.
  await page.goto(root + "/");
  const left = () => page.locator("#running td:last-child").first().textContent();
  const before = parseInt(await left());
  await page.waitForFunction((was) => parseInt(document.querySelector("#running td:last-child").textContent) < was, before, { timeout: 5000 });
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
  console.log("other origins get nothing");

  if (PICTURES) {
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
  }
}
assert.deepEqual(faults, []);
await browser.close();
