// What the tests ask of JupyterLab, from inside its page: window.netlab.
// A cell is named by its place among the code cells that have a source.
window.netlab = (() => {
  const LOOK_MS = 50;
  const PATIENCE_MS = 10_000;
  const pause = () => new Promise((wake) => setTimeout(wake, LOOK_MS));

  const context = () => window.jupyterapp?.shell.currentWidget?.sessionContext;
  const notebook = () => window.jupyterapp.shell.currentWidget.content;
  const code = () => notebook().widgets.filter(({model}) =>
    model.type === "code" && model.sharedModel.getSource().trim());
  const outputs = ({model}) => Array.from(
    {length: model.outputs.length}, (_, at) => model.outputs.get(at).toJSON());

  // A command goes on by itself: what it leads to is waited for, not its end.
  const command = (name, settings) => {
    window.jupyterapp.commands.execute(name, settings);
  };

  const idle = () => {
    const kernel = context()?.session?.kernel;
    return kernel?.connectionStatus === "connected" && kernel.status === "idle";
  };

  const errors = () => code().flatMap((cell, at) => outputs(cell)
    .filter((one) => one.output_type === "error")
    .map((one) => ({cell: at, name: one.ename, text: `${one.ename}: ${one.evalue}`})));

  const complaints = () => code().flatMap(outputs)
    .filter((one) => one.output_type === "stream" && one.name === "stderr")
    .map((one) => [one.text].flat().join(""));

  // The cell that runs; those that wait for it are marked like it. -1 if none does.
  const running = () =>
    code().findIndex(({model}) => model.executionState === "running");

  const done = () => idle() && running() < 0
    && (errors().length || code().every(({model}) => model.executionCount !== null));

  // While cells run: for how long each does, and what the live pictures show.
  let watching = null, before = 0, seconds = {}, frames = new Set();
  const look = () => {
    const now = performance.now(), at = running();
    if (at >= 0) seconds[at] = (seconds[at] ?? 0) + (now - before) / 1000;
    before = now;
    for (const picture of document.querySelectorAll(".netlab-live")) {
      frames.add(picture.innerHTML);
    }
  };
  const runAll = () => {
    command("editmenu:clear-all");
    seconds = {};
    frames = new Set();
    before = performance.now();
    watching ??= setInterval(look, LOOK_MS);
    command("runmenu:run-all");
  };
  const seen = () => ({seconds, frames: frames.size});

  const picturesIn = (cell) => outputs(cell)
    .map((one) => (String(one.data?.["text/html"]).match(/<img /g) ?? []).length)
    .reduce((sum, count) => sum + count, 0);
  const isDrawn = (image) => image.complete && image.naturalWidth > 0
    && image.getBoundingClientRect().width > 0;

  const scrollTo = async (cell) =>
    notebook().scrollToItem(notebook().widgets.indexOf(cell), "start");

  // Scroll to every picture; return how many of them the browser has drawn.
  const pictures = async () => {
    let count = 0;
    for (const cell of code().filter(picturesIn)) {
      const wanted = picturesIn(cell), since = Date.now();
      const drawn = () => [...cell.node.querySelectorAll(".jp-OutputArea img")]
        .filter(isDrawn).length;
      await scrollTo(cell);
      while (drawn() < wanted && Date.now() - since < PATIENCE_MS) await pause();
      count += drawn();
    }
    return count;
  };

  // Bring what a cell shows to the middle of the window; heights settle on the way.
  const show = async (at) => {
    const cell = code().at(at);
    for (let times = 0; times < 3; times++) {
      await scrollTo(cell);
      cell.outputArea.node.scrollIntoView({block: "center"});
      await pause();
    }
  };
  const central = () => code().findIndex(({model}) =>
    model.getMetadata("tags")?.includes("central"));

  // Run a text in the kernel, in no cell; return what it printed.
  const say = async (text) => {
    const told = [];
    const future = context().session.kernel.requestExecute(
      {code: text, store_history: false, stop_on_error: false});
    future.onIOPub = ({header, content}) => {
      if (header.msg_type === "stream") told.push(content.text);
      if (header.msg_type === "error") told.push(content.traceback.join("\n"));
    };
    await future.done;
    return told.join("");
  };

  const shutDown = () => context().shutdown();

  return {central, command, complaints, done, errors, idle, pictures, runAll,
          running, say, seen, show, shutDown};
})();
