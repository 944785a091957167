/* Comforts on top of pages that already work: menus that close, quantities that step, forms that are sent once, clocks that run. */
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");

  function each(selector, act, within) {
    Array.prototype.forEach.call((within || document).querySelectorAll(selector), act);
  }

  function closeMenus(except) {
    each("details.menu[open]", function (menu) { if (menu !== except) menu.open = false; });
  }

  document.addEventListener("click", function (event) {
    var target = event.target;
    closeMenus(target.closest("details.menu"));

    var step = target.closest("[data-step]");
    if (step) {
      var input = step.parentElement.querySelector("input[type=number]");
      var before = input.value;
      if (step.dataset.step === "1") input.stepUp(); else input.stepDown();
      if (input.value !== before) input.dispatchEvent(new Event("change", { bubbles: true }));
    }

    if (target.closest("[data-print]")) window.print();

    var share = target.closest("[data-share]");
    if (share) {
      var address = new URL(share.dataset.share || "", location.href).href;
      if (navigator.share) navigator.share({ title: document.title, url: address }).catch(function () {});
      else if (navigator.clipboard) navigator.clipboard.writeText(address).then(function () { share.textContent = share.dataset.done; });
    }
  });

  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    each("details.menu[open]", function (menu) { menu.open = false; menu.querySelector("summary").focus(); });
  });

  /* A second click on the same button sends nothing; coming back to the page frees it. */
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    if (event.submitter) event.submitter.setAttribute("aria-busy", "true");
    setTimeout(function () { free(form); }, 8000);
  });
  function free(form) {
    delete form.dataset.sent;
    each("[aria-busy]", function (button) { button.removeAttribute("aria-busy"); }, form);
  }
  window.addEventListener("pageshow", function () { each("form[data-sent]", free); });
  document.addEventListener("htmx:afterRequest", function (event) {
    var form = event.target.closest && event.target.closest("form");
    if (form) free(form);
  });

  document.addEventListener("change", function (event) {
    var target = event.target;
    if (target.closest("[data-autosubmit]") && target.form) target.form.requestSubmit();
    if (target.dataset.checkAll) {
      each('input[type=checkbox][name="' + target.dataset.checkAll + '"]', function (box) { box.checked = target.checked; });
    }
    if (target.dataset.narrows) narrow(target);
  });

  /* A county's choice narrows the villages offered: options carry data-parent. */
  function narrow(source) {
    var below = document.getElementById(source.dataset.narrows);
    if (!below) return;
    each("option[data-parent]", function (option) {
      option.hidden = option.disabled = source.value !== "" && option.dataset.parent !== source.value;
      if (option.hidden && option.selected) below.value = "";
    }, below);
  }

  /* "23:41" until an unpaid purchase gives its goods back; at zero the page asks the server what became of it. */
  function run(clock) {
    var end = Date.parse(clock.dateTime), reloaded = false;
    function show() {
      var left = Math.floor((end - Date.now()) / 1000);
      if (left < 0) {
        if (clock.dataset.reload !== undefined && !reloaded) { reloaded = true; location.reload(); }
        return;
      }
      var seconds = left % 60;
      clock.textContent = Math.floor(left / 60) + ":" + (seconds < 10 ? "0" : "") + seconds;
      setTimeout(show, 1000);
    }
    if (end > Date.now()) show();
  }

  function prepare(part) {
    each("[data-narrows]", narrow, part);
    each("time[data-countdown]", run, part);
    each(".work-nav [aria-current]", function (here) {
      var list = here.closest("ul");
      list.scrollLeft = here.offsetLeft - list.offsetLeft - 40;
    }, part);
    var trouble = part.querySelector(".form-errors[tabindex]");
    if (trouble) trouble.focus();
  }
  function ready() { prepare(document); }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready); else ready();
  document.addEventListener("htmx:load", function (event) { prepare(event.target); });
})();
