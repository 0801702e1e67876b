// SPDX-License-Identifier: Apache-2.0
// The completions behind a number. Everything shown comes from the JSON block as text: this script
// never parses markup, because completions are written by the model under test.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const dialog = find("drill"), list = find("drill-cases"), pane = find("drill-case");
  const WORDS = data.words;
  const OUTCOME = { p: "pass", f: "fail", u: "unknown" };
  const SHOWS = [["all", "all"], ["better", "better"], ["worse", "worse"], ["fail", "failing"], ["unknown", "unknown"]];
  // What each metric looks at: v(alid), f(unction), s(ecurity).
  const LENS = { valid: "v", secure: "vs", secure_pass: "fs", secure_of_valid: "s" };
  let view = null;

  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== ""));
    return element;
  };
  const chip = (text, kind) => make("span", { class: "chip " + (kind || "") }, text);
  const count = (n, word) => n + " " + word + (n === 1 ? "" : "s");

  // Control, zero-width and direction characters and halves of surrogate pairs are shown by name:
  // they can hide code.
  const HIDDEN = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
  const visible = (line) => {
    const parts = [];
    let end = 0;
    for (const match of line.matchAll(HIDDEN)) {
      const name = "U+" + match[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
      parts.push(line.slice(end, match.index), make("span", { class: "ctl" }, name));
      end = match.index + 1;
    }
    return [...parts, line.slice(end)];
  };
  const row = (number, text, kind) => make("div", { class: "row " + (kind || "") },
    make("span", { class: "no" }, String(number)), make("span", { class: "text" }, visible(text)));
  const block = (rows, label) =>
    make("div", { class: "code", tabindex: "0", role: "region", "aria-label": label }, make("div", { class: "rows" }, rows));
  const lines = (text) => text.replace(/\n$/, "").split("\n");

  const samples = (item, side) => item[side] || [];
  const outcome = (sample, lens) => {
    const said = [...lens].map((part) => sample.o["vfs".indexOf(part)]);
    return said.includes("f") ? "f" : said.includes("u") ? "u" : "p";
  };
  const goodShare = (item, side) => {
    const found = samples(item, side);
    return found.filter((sample) => outcome(sample, view.lens) === "p").length / Math.max(1, found.length);
  };
  const sides = (suite) => (view.side && suite.two ? [view.side] : suite.two ? ["before", "after"] : ["before"]);
  const last = (suite) => (view.side ? view.side : suite.two ? "after" : "before");
  const fits = (item) => {
    const suite = view.suite, shown = sides(suite).flatMap((side) => samples(item, side));
    if (view.cwe && item.cwe !== view.cwe) return false;
    if (view.split && item.split !== view.split) return false;
    if (view.failure && !shown.some((sample) => (sample.f || "clean") === view.failure)) return false;
    if (view.show === "better") return goodShare(item, "after") > goodShare(item, "before");
    if (view.show === "worse") return goodShare(item, "after") < goodShare(item, "before");
    if (view.show === "fail") return samples(item, last(suite)).some((s) => outcome(s, view.lens) === "f");
    if (view.show === "unknown") return shown.some((s) => outcome(s, view.lens) === "u");
    return true;
  };

  const address = (suite, item) => "#case=" + encodeURIComponent(suite.name + "/" + item.id);
  const dots = (item, side) => {
    const found = samples(item, side), said = found.map((sample) => outcome(sample, view.lens));
    const good = said.filter((one) => one === "p").length, open = said.filter((one) => one === "u").length;
    const text = side + ": " + good + " of " + found.length + " good" + (open ? ", " + open + " unknown" : "");
    return make("span", { class: "dots", role: "img", "aria-label": text, title: text },
      said.map((one) => make("span", { class: "dot " + OUTCOME[one] })));
  };

  const drawList = () => {
    const suite = view.suite, found = suite.cases.filter(fits);
    const about = [view.metric, view.cwe, view.split, WORDS[view.failure] || view.failure, view.side].filter(Boolean);
    find("drill-title").textContent = [suite.name, ...about].join(" · ");
    find("drill-count").textContent = count(found.length, "case") + " of " + suite.cases.length
      + (suite.two ? "; completions before → after" : "");
    find("drill-key").hidden = !found.length;
    find("drill-filters").replaceChildren(...SHOWS.filter(([key]) => suite.two || !["better", "worse"].includes(key)).map(([key, word]) => {
      const button = make("button", { type: "button", "aria-pressed": String(view.show === key) }, word);
      button.addEventListener("click", () => { view.show = key; drawList(); });
      return button;
    }));
    list.replaceChildren(...found.map((item) => make("li", {}, make("a",
      { href: address(suite, item), "aria-current": item === view.item ? "true" : null },
      make("span", { class: "id" }, item.id), dots(item, "before"),
      suite.two ? [" → ", dots(item, "after")] : "", " ", item.cwe ? make("span", { class: "sum" }, item.cwe) : ""))));
    view.found = found;
  };

  const findingText = ([rule, message, cwe, at]) =>
    (at ? "line " + at + ": " : "") + rule + (cwe ? " (" + cwe + ")" : "") + ": " + message;

  // Findings with the same words are listed once, with how often they were made.
  const counted = (findings) => {
    const found = new Map();
    for (const finding of findings) {
      const text = findingText(finding);
      found.set(text, [finding, (found.get(text) || [finding, 0])[1] + 1]);
    }
    return found;
  };

  const answer = (item, sample, label) => {
    const prompt = data.texts[item.prompt], first = prompt.split("\n").length;
    const findings = (sample.x || []).map((index) => data.findings[index]);
    const rows = [], placed = new Set();
    lines(data.texts[sample.t]).forEach((text, offset) => {
      const here = findings.filter((finding) => finding[3] === first + offset);
      rows.push(row(first + offset, text, here.length ? "bad" : ""));
      here.forEach((finding) => {
        placed.add(finding);
        rows.push(make("div", { class: "remark " + finding[4] }, visible(findingText(finding))));
      });
    });
    const rest = findings.filter((finding) => !placed.has(finding));
    return make("div", {},
      make("h5", {}, label),
      make("div", { class: "chips" },
        ["valid", "function", "security"].map((word, at) => chip(word + ": " + OUTCOME[sample.o[at]], OUTCOME[sample.o[at]])),
        // Insecure is what the security chip says already.
        sample.f && sample.f !== "insecure" ? chip(WORDS[sample.f] || sample.f, sample.f === "unknown" ? "unknown" : "fail") : "",
        sample.cut ? chip("cut at the token budget", "unknown") : ""),
      block(rows, label + ", completion"),
      rest.length ? make("ul", { class: "findings" }, [...counted(rest)].map(([text, [finding, times]]) =>
        make("li", { class: finding[4] }, visible(text), times > 1 ? " (" + times + " times)" : ""))) : "");
  };

  // Line diff by longest common subsequence, after the equal ends are taken off.
  const difference = (a, b) => {
    let top = 0, end = 0;
    while (top < a.length && top < b.length && a[top] === b[top]) top += 1;
    while (end < a.length - top && end < b.length - top && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
    const x = a.slice(top, a.length - end), y = b.slice(top, b.length - end), out = [];
    if (x.length * y.length > 1e6) {
      out.push(...x.map((text) => ["-", text]), ...y.map((text) => ["+", text]));
    } else {
      const table = Array.from({ length: x.length + 1 }, () => new Uint32Array(y.length + 1));
      for (let i = x.length - 1; i >= 0; i -= 1) {
        for (let j = y.length - 1; j >= 0; j -= 1) {
          table[i][j] = x[i] === y[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
        }
      }
      let i = 0, j = 0;
      while (i < x.length || j < y.length) {
        if (i < x.length && j < y.length && x[i] === y[j]) { out.push([" ", x[i]]); i += 1; j += 1; }
        else if (j >= y.length || (i < x.length && table[i + 1][j] >= table[i][j + 1])) { out.push(["-", x[i]]); i += 1; }
        else { out.push(["+", y[j]]); j += 1; }
      }
    }
    return [...a.slice(0, top).map((t) => [" ", t]), ...out, ...a.slice(a.length - end).map((t) => [" ", t])];
  };
  const diff = (before, after) => {
    const kinds = { "+": "add", "-": "del", " ": "" };
    const rows = difference(lines(before), lines(after)).map(([sign, text]) => row(sign === "-" ? "−" : sign, text, kinds[sign]));
    return [make("h5", {}, "What changed between the two answers"), block(rows, "difference to the answer before")];
  };

  // Samples with the same texts and verdicts on both sides are shown once.
  const groups = (item) => {
    const found = new Map();
    for (let at = 0; at < Math.max(samples(item, "before").length, samples(item, "after").length); at += 1) {
      const pair = [samples(item, "before")[at], samples(item, "after")[at]];
      const key = JSON.stringify(pair.map((s) => s && { ...s, i: 0 }));
      if (!found.has(key)) found.set(key, { pair, numbers: [] });
      found.get(key).numbers.push((pair[0] || pair[1]).i + 1);
    }
    return [...found.values()];
  };

  const step = (offset, word) => {
    const at = view.found.indexOf(view.item), other = view.found[at + offset];
    return at >= 0 && other ? make("a", { href: address(view.suite, other) }, word) : "";
  };

  const drawCase = () => {
    const suite = view.suite, item = view.item;
    dialog.classList.toggle("one", Boolean(item));
    pane.replaceChildren();
    delete pane.dataset.case;
    if (!item) { pane.append(make("p", { class: "sum" }, view.found.length ? "Choose a case to see its prompt and what was written." : "No case fits. Choose “all” to see every case behind this number.")); return; }
    pane.dataset.case = item.id;
    const back = make("button", { type: "button", class: "back" }, "← cases");
    back.addEventListener("click", () => { view.item = null; drawList(); drawCase(); });
    pane.append(
      make("div", { class: "steps" }, back, step(-1, "← previous"), step(1, "next →")),
      make("h3", {}, item.id),
      make("div", { class: "chips" }, [item.language, item.cwe, item.family, item.split, "judge: " + item.judge].filter(Boolean).map((text) => chip(text))),
      make("h4", {}, "Prompt"), block(lines(data.texts[item.prompt]).map((text, at) => row(at + 1, text)), "prompt"));
    if (item.reference !== undefined) {
      pane.append(make("details", {}, make("summary", {}, "A reference answer"),
        block(lines(data.texts[item.reference]).map((text, at) => row(at + 1, text)), "reference answer")));
    }
    for (const { pair: [before, after], numbers } of groups(item)) {
      pane.append(make("h4", {}, (numbers.length > 1 ? "Completions " : "Completion ") + numbers.join(", ")));
      if (!suite.two) { pane.append(answer(item, before, "Answer")); continue; }
      pane.append(make("div", { class: "pair" },
        before ? answer(item, before, "Before") : make("p", { class: "sum" }, "Nothing was written before."),
        after ? answer(item, after, "After") : make("p", { class: "sum" }, "Nothing was written after.")));
      if (before && after && before.t === after.t) pane.append(make("p", { class: "sum" }, "Both answers are the same text."));
      else if (before && after) pane.append(...diff(data.texts[before.t], data.texts[after.t]));
    }
    pane.scrollTop = 0;
  };

  const locate = (name) => {
    for (const suite of data.suites) {
      const item = suite.cases.find((one) => suite.name + "/" + one.id === name);
      if (item) return [suite, item];
    }
    for (const suite of data.suites) {
      const item = suite.cases.find((one) => one.id === name);
      if (item) return [suite, item];
    }
    return [null, null];
  };
  const open = (suite, item, query) => {
    const metric = query.get("metric") || "", name = metric.split("@")[0];
    view = { suite, item, metric, cwe: query.get("cwe"), split: query.get("split"), failure: query.get("failure"),
      side: query.get("side"), show: query.get("show") || "all", found: [],
      lens: metric ? LENS[name] || "f" : suite.secure ? "vs" : "f" };
  };
  const route = () => {
    const query = new URLSearchParams(location.hash.slice(1));
    const [home, item] = query.has("case") ? locate(query.get("case")) : [null, null];
    const suite = home || data.suites.find((one) => one.name === query.get("cases"));
    if (!suite) { if (dialog.open) dialog.close(); return; }
    // A case chosen from an open list keeps that list's filters.
    if (item && dialog.open && view && view.suite === suite) view.item = item;
    else open(suite, item, query);
    drawList();
    // Where list and case stand side by side, the first case is shown at once.
    if (!view.item && view.found.length && matchMedia("(min-width: 52.01rem)").matches) {
      view.item = view.found[0];
      drawList();
    }
    drawCase();
    if (!dialog.open) dialog.showModal();
    if (item) pane.focus({ preventScroll: true });
    const current = list.querySelector("[aria-current]");
    if (current) current.scrollIntoView({ block: "nearest" });
  };

  find("drill-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    view = null;
    if (/^#cases?=/.test(location.hash)) history.replaceState(null, "", location.pathname + location.search);
  });
  window.addEventListener("hashchange", route);
  const copy = find("copy");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", () => navigator.clipboard.writeText(find("command").textContent)
      .then(() => { copy.textContent = "Copied"; }, () => { copy.textContent = "Select it by hand"; }));
  }
  route();
})();
