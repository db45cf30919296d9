// Keeps the list fresh: asks for the part that changes each second, and leaves the page alone while nothing did.
// Without it the page refreshes itself as a whole, and the buttons are plain forms.
"use strict";
(() => {
  const live = document.getElementById("live");
  const address = new URL(location.href);
  address.hash = "";
  address.searchParams.set("part", "list");
  let etag = live.dataset.etag;

  // A person who selects text or holds a button must not lose the place.
  const busy = () => document.hidden || !getSelection().isCollapsed || live.querySelector(":active");

  function replace(html) {
    const focus = live.contains(document.activeElement) ? document.activeElement : null;
    const card = focus && focus.closest(".card");
    const next = card && (card.nextElementSibling || card.previousElementSibling);
    const places = [focus && focus.id, next && next.id.replace("t-", "b-"), "tickets"];
    const open = [...live.querySelectorAll("details[open]")].map((d) => d.id);
    const states = new Map([...live.querySelectorAll(".deed")].map((d) => [d.id, d.dataset.state]));
    const known = new Set([...live.querySelectorAll(".card")].map((c) => c.id));
    live.innerHTML = html;
    for (const id of open) {
      const d = document.getElementById(id);
      if (d) d.open = true;
    }
    const arrived = [...live.querySelectorAll(".card")].filter((c) => !known.has(c.id));
    for (const one of arrived) one.classList.add("arrived");
    const news = arrived.length ? [`New in the list: ${arrived.length}`] : [];
    for (const d of live.querySelectorAll(".deed")) {
      if (states.get(d.id) === d.dataset.state) continue;
      d.classList.add("changed");
      news.push(`${d.querySelector("strong").textContent}: ${d.dataset.state}`);
    }
    if (news.length) document.getElementById("news").textContent = news.join(". ");
    // The keyboard stays where it was, or goes on to the neighbour of a ticket that left.
    const again = focus && places.map((id) => id && document.getElementById(id)).find(Boolean);
    if (again) again.focus({ preventScroll: true });
  }

  async function look(force) {
    if (!force && busy()) return;
    const answer = await fetch(address, { headers: { "If-None-Match": etag } });
    if (answer.status === 404) location.assign("/ui/"); // restarted with other channels
    if (answer.status !== 200) return;
    const html = await answer.text();
    if (!force && busy()) return;
    etag = answer.headers.get("ETag");
    replace(html);
  }

  // Done without leaving the place on the page.
  live.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" })
      .then((answer) => {
        if (answer.type === "opaqueredirect") return look(true);
        location.assign(form.action); // it says what is wrong
      })
      .catch(() => form.submit());
  });

  async function loop() {
    await look(false).catch(() => {}); // the sandbox is gone or restarting: try again in a second
    setTimeout(loop, 1000);
  }
  setTimeout(loop, 1000);
})();
