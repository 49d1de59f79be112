import { render } from "preact";
import "./ui/base.css";
import "./ui/components.css";
import "./app/shell.css";
import "./app/install";
import { startBackground } from "./app/background";
import { Outlet } from "./app/outlet";
import { watchParts } from "./app/parts";
import { startRouter } from "./app/router";
import { start } from "./app/session";
import { Shell } from "./app/shell";
import { applyTheme } from "./app/theme";
import { registerWorker } from "./app/worker";

applyTheme();
watchParts();
startBackground();
startRouter();
void start();
void registerWorker();

const root = document.getElementById("app");
if (root) {
  render(
    <Shell>
      <Outlet />
    </Shell>,
    root,
  );
}
