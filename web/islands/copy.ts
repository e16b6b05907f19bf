/**
 * Copy: what every copy button does. It knows only the element that a button names.
 */
const shownMs = 2_000;

/** Where the clipboard is refused (plain http), the text is selected instead, ready for Ctrl-C. */
async function copy(button: HTMLButtonElement): Promise<void> {
  const code = document.getElementById(button.dataset["copy"] ?? "");
  if (!code) return;
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(code.textContent ?? "");
  } catch {
    getSelection()?.selectAllChildren(code);
    said = "Press Ctrl-C";
  }
  const shown = button.firstElementChild ?? button;
  shown.textContent = said;
  status.textContent = said;
  setTimeout(() => {
    shown.textContent = "Copy";
    status.textContent = "";
  }, shownMs);
}

const status = document.createElement("p");
status.className = "unseen";
status.setAttribute("role", "status");
document.body.append(status);
document.documentElement.classList.add("js");
document.addEventListener("click", (event) => {
  const button = (event.target as Element).closest?.("button[data-copy]");
  if (button instanceof HTMLButtonElement) void copy(button);
});
