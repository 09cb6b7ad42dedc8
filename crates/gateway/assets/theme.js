// Light or dark: the system's unless a reader chose. The choice is a cookie, so that the gateway can draw it at once.
const root = document.documentElement;

const isDark = () =>
  root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

export function startTheme() {
  const button = document.getElementById("theme");
  const toggle = () => {
    const theme = isDark() ? "light" : "dark";
    root.dataset.theme = theme;
    const path = root.dataset.base || "/";
    document.cookie = `longshore_theme=${theme}; path=${path}; max-age=31536000; samesite=lax`;
  };
  button?.addEventListener("click", toggle);
  return { toggle };
}
