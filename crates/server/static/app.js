// What the pages do beyond links and forms: keep themselves current, keyboard
// shortcuts, ages of times. Everything works without this file.
"use strict";

(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const main = $("#main");
  if (!main) return;

  // ---- ages of times, the same words as the server's
  const distance = (at, now) => {
    const past = at <= now;
    const secs = Math.floor(Math.abs(now - at) / 1000);
    let text;
    if (secs < 5) return "now";
    if (secs < 60) text = `${secs} s`;
    else if (secs < 3600) text = `${Math.floor(secs / 60)} min`;
    else if (secs < 86400) {
      const minutes = Math.floor((secs % 3600) / 60);
      text = `${Math.floor(secs / 3600)} h` + (minutes ? ` ${minutes} min` : "");
    } else text = `${Math.floor(secs / 86400)} d`;
    return past ? `${text} ago` : `in ${text}`;
  };
  const age = (root = document) => {
    const now = Date.now();
    for (const rel of $$("[data-rel]", root)) {
      const at = Date.parse(rel.closest("time").dateTime);
      if (!Number.isNaN(at)) {
        const text = distance(at, now);
        if (rel.textContent !== text) rel.textContent = text;
      }
    }
  };
  age();
  setInterval(age, 5000);

  // ---- bring what is on the page to what the server says, element by element,
  // so that focus, open details, scroll positions and typed text stay
  const keyOf = (node) => (node.nodeType === 1 ? node.id || node.dataset.step || node.dataset.check || "" : "");
  const morph = (old, fresh) => {
    if (old.nodeType !== 1) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      const kept = name === "open" || name === "data-sent";
      if (!fresh.hasAttribute(name) && !kept) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      const typed = name === "value" && old.matches("input:not([type=hidden])");
      if (name !== "open" && !typed && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (old.matches("textarea")) return;
    const before = [...old.childNodes];
    const keyed = new Map(before.filter(keyOf).map((n) => [keyOf(n), n]));
    let at = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      const key = keyOf(next);
      const same = (n) => n && n.nodeType === next.nodeType && n.nodeName === next.nodeName && keyOf(n) === key;
      const match = key ? keyed.get(key) : same(at) ? at : null;
      if (same(match)) {
        if (match === at) at = at.nextSibling;
        else old.insertBefore(match, at);
        morph(match, next);
      } else {
        old.insertBefore(document.importNode(next, true), at);
      }
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  };

  // A decision is bound to the version that was on the screen: when that
  // changes, the page is left as it is and says so.
  const bound = (root) => $("[data-bound]", root)?.dataset.bound;
  const changed = () => {
    if ($("#changed")) return;
    const note = document.createElement("p");
    note.id = "changed";
    note.className = "changed";
    note.setAttribute("role", "alert");
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = "Show the new state";
    note.append("This has changed since you opened it. Your decision on the old version would be refused. ", link);
    main.prepend(note);
    for (const button of $$("[data-bound] button")) button.disabled = true;
  };

  let fetching = false;
  let again = false;
  const refresh = async () => {
    if (fetching) {
      again = true;
      return;
    }
    fetching = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      if (answer.redirected || answer.status === 401) {
        location.reload();
        return;
      }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = $("#main", page);
      if (!fresh) return;
      if (bound(main) && bound(main) !== bound(fresh)) {
        changed();
        return;
      }
      for (const kept of $$(".flash", main)) {
        const first = kept.cloneNode(true);
        fresh.prepend(first);
      }
      morph(main, fresh);
      for (const part of ["#nav", "#quick"]) {
        if ($(part) && $(part, page)) morph($(part), $(part, page));
      }
      if (document.title !== page.title) document.title = page.title;
      age();
    } catch {
      state("off", "reconnecting");
    } finally {
      fetching = false;
      if (again) {
        again = false;
        soon();
      }
    }
  };
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(refresh, 150);
  };

  // ---- live
  const live = $("#live");
  const state = (name, word) => {
    if (!live) return;
    live.hidden = false;
    live.className = `live ${name}`;
    if ($("#live-word").textContent !== word) $("#live-word").textContent = word;
  };
  // A text that is being written, and the answer to a question, stay as they are.
  const still = $("form.edit, form.confirm, [data-still]");
  if (live && "live" in main.dataset && !still) {
    let source;
    const connect = () => {
      source = new EventSource("/v1/events");
      source.onopen = () => {
        state("on", "live");
        // What happened between the making of the page and now is not among
        // the events.
        soon();
      };
      source.onmessage = soon;
      source.onerror = () => {
        state("off", "reconnecting");
        if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
      };
    };
    connect();
    addEventListener("pagehide", () => source.close());
    addEventListener("pageshow", (event) => {
      if (event.persisted) connect();
    });
  }
  if (new URLSearchParams(location.search).has("done")) {
    const here = new URL(location.href);
    here.searchParams.delete("done");
    history.replaceState(null, "", here);
  }

  // ---- a form is sent once
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) {
      event.preventDefault();
      return;
    }
    if (event.target.method === "post") event.target.dataset.sent = "1";
  });
  addEventListener("pageshow", () => {
    for (const form of $$("form[data-sent]")) delete form.dataset.sent;
  });

  // ---- keyboard
  const help = $("#help");
  if (!help) return;
  const stored = (value) => {
    try {
      if (value !== undefined) localStorage.setItem("writ.keys", value);
      return localStorage.getItem("writ.keys");
    } catch {
      return value ?? null;
    }
  };
  let keysOn = stored() !== "off";
  const keysSwitch = $("#keys-switch");
  const showSwitch = () => {
    keysSwitch.setAttribute("aria-pressed", String(keysOn));
    keysSwitch.textContent = keysOn ? "Shortcuts are on" : "Shortcuts are off";
  };
  showSwitch();
  keysSwitch.addEventListener("click", () => {
    keysOn = !keysOn;
    stored(keysOn ? "on" : "off");
    showSwitch();
  });
  $("#help-close").addEventListener("click", () => help.close());
  const open = $("#help-open");
  open.hidden = false;
  open.addEventListener("click", () => {
    open.closest("details").open = false;
    help.showModal();
  });

  const move = (step) => {
    const links = $$(".row-link", main);
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const to = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step));
    links[to].focus();
    links[to].scrollIntoView({ block: "nearest" });
  };
  const go = (selector) => {
    const target = $(selector);
    if (!target) return false;
    target.closest("details")?.setAttribute("open", "");
    target.focus();
    target.scrollIntoView({ block: "center" });
    return true;
  };
  let pending = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target;
    const typing = target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "Escape") {
      const sheet = $(".account[open]");
      if (typing) target.blur();
      else if (sheet) {
        sheet.open = false;
        $("summary", sheet).focus();
      }
      return;
    }
    if (typing || help.open || !keysOn) return;
    if (pending && Date.now() - pending < 1500) {
      pending = 0;
      const link = $(`#nav [data-go="${CSS.escape(event.key)}"]`);
      if (link) {
        event.preventDefault();
        link.click();
      }
      return;
    }
    pending = 0;
    const done = {
      g: () => (pending = Date.now()),
      j: () => move(1),
      k: () => move(-1),
      a: () => go("#approve-reason"),
      r: () => go("#reject-reason"),
      e: () => go("#edit"),
      "/": () => go("#kind") || go(".filter a"),
      "?": () => help.showModal(),
    }[event.key];
    if (done) {
      event.preventDefault();
      done();
    }
  });
})();
