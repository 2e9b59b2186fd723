//! Runs a reload on a root of its own.

use super::*;

/// Longer than anything here takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Bench {
    pub(super) root: TempDir,
    pub(super) context: RunContext,
    pub(super) refused: RefusedFiles,
    pub(super) problems: Diagnostics,
    events: Arc<Mutex<Vec<Event>>>,
    approve: mpsc::Sender<Approve>,
    looks: mpsc::Sender<LookNow>,
    reload: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(reload) = &self.reload {
            reload.abort();
        }
    }
}

/// A component whose files differ only in this text.
pub(super) fn version(guest: &Guest, version: &str) -> Vec<u8> {
    let mut bytes = guest.build();
    let length = u8::try_from(version.len()).unwrap();
    bytes.extend([&[0, length + 1, length], version.as_bytes()].concat());
    bytes
}

pub(super) fn script() -> Guest {
    Guest { world: "restart-script", plan: Some("unreachable"), ..Guest::default() }
}

pub(super) fn spinning() -> Guest {
    Guest::checking("(loop $l (br $l)) unreachable")
}

pub(super) const MODULE: &str = r#"
[restart]
script = "script"
[commands]
start = { run = ["/bin/true"] }
[[checker]]
name = "c"
component = "c"
interval = "1s"
timeout = "1m"
"#;

/// The same, with a limit for those that loop. The limit is processor time: whether a good one is done within a
/// second depends on the machine.
pub(super) fn module_of_little_processor_time() -> String {
    format!("{MODULE}limits = {{ cpu = \"300ms\" }}\n")
}
pub(super) const SPUN: &str = "used more than 300ms of processor time";

impl Bench {
    /// A root with a restart script, this checker `c` and this module `m`.
    pub(super) async fn new(checker: &[u8], module: &str) -> Self {
        Self::on(sandbox(Compiler::Own), checker, module).await
    }

    pub(super) async fn on(sandbox: Sandbox, checker: &[u8], module: &str) -> Self {
        let (mut reload, mut bench) = Self::prepared(sandbox, checker, module).await;
        let mistakes: Vec<String> = reload.begin().await.iter().map(|m| m.render(false)).collect();
        assert_eq!(mistakes, Vec::<String>::new());
        bench.reload = Some(tokio::spawn(reload.run()));
        bench
    }

    /// The same, and its reload, which has not been started.
    pub(super) async fn prepared(sandbox: Sandbox, checker: &[u8], module: &str) -> (Reload, Self) {
        let root = tempfile::tempdir().unwrap();
        for folder in ["checkers", "restart-scripts", "modules", "state"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        write(root.path(), "checkers/c.wasm", checker);
        write(root.path(), "modules/m.toml", module.as_bytes());
        let sandbox = Arc::new(sandbox);
        let key = (ComponentKind::RestartScript, ComponentName::new("script").unwrap());
        let standard = BTreeMap::from([(key, sandbox.load(script().build()).unwrap())]);
        let context = RunContext {
            root: root.path().to_owned(),
            node: NodeName::new("n").unwrap(),
            clock: Clock::start(),
            limits: LimitsSpec::default(),
            sandbox,
            registry: ComponentRegistry::default(),
            loaded_modules: LoadedModules::default(),
            processes: ProcessTable::default(),
            kept: KeptTable::default(),
            metrics: Metrics::default(),
            launcher: Launcher::Nobody,
        };
        let home =
            Home { root: root.path().to_owned(), node: context.node.clone(), launcher: Launcher::Nobody };
        let (processes, states) = (context.processes.clone(), context.kept.clone());
        let kept = Kept::open(home, context.clock, processes, states).await.unwrap();
        let (sender, mut receiver) = mpsc::channel(64);
        let (approve, approvals) = mpsc::channel(4);
        let (looks, looked_for) = mpsc::channel(1);
        let (refused, problems) = (RefusedFiles::default(), Diagnostics::default());
        let (reload, damaged) = Reload::new(Settings {
            context: context.clone(),
            root: root.path().to_owned(),
            trust: TrustSpec::default(),
            rescan: Duration::from_millis(100),
            standard,
            refused: refused.clone(),
            memories: BTreeMap::new(),
            events: sender,
            approvals,
            looks: looked_for,
            heartbeat: Heartbeat::default(),
            kept,
            snapshot: Arc::new(ArcSwap::from_pointee(Snapshot::empty(
                context.node.clone(),
                Moment::default(),
            ))),
            problems: problems.clone(),
        });
        assert_eq!(damaged, Vec::<String>::new());
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        tokio::spawn(async move {
            while let Some(Message::Event(event)) = receiver.recv().await {
                told.lock().unwrap().push(event);
            }
        });
        (reload, Self { root, context, refused, problems, events, approve, looks, reload: None })
    }

    pub(super) fn write(&self, file: &str, content: &[u8]) {
        write(self.root.path(), file, content);
    }

    /// Changes two files together, with nothing slow in between.
    pub(super) fn write_both(&self, files: [(&str, &[u8]); 2]) {
        let root = self.root.path();
        for (number, (_, content)) in files.iter().enumerate() {
            fs::write(root.join(format!("new-{number}")), content).unwrap();
        }
        for (number, (file, _)) in files.iter().enumerate() {
            fs::rename(root.join(format!("new-{number}")), root.join(file)).unwrap();
        }
    }

    pub(super) fn digest(&self) -> String {
        let name = ComponentName::new("c").unwrap();
        let component = self.context.registry.get(ComponentKind::Checker, &name);
        component.map(|component| component.digest().to_owned()).unwrap_or_default()
    }

    /// Runs the checker of the active module once, and returns its observation.
    pub(super) async fn check(&self) -> String {
        let member = self.context.loaded_modules.get(&ModuleName::new("m").unwrap()).unwrap();
        let name = CheckerName::new("c").unwrap();
        let CheckerDefinition { interval, timeout, subject } =
            member.checker(&name).unwrap().definition.clone();
        let Subject::Component(component) = subject else { panic!("no component") };
        let kit = member.kit(&name).unwrap();
        let checker = ComponentChecker { name, interval, timeout, component, kit };
        checker.run(&self.context, &member.spec.name).await.summary
    }

    /// Waits until the condition is true.
    pub(super) async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !so(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "never: {what}; refused: {:?}", self.refused.sentences());
    }

    pub(super) async fn until_in_force(&self, bytes: &[u8]) {
        let digest = blake3::hash(bytes).to_hex().to_string();
        self.until("the new version is active", |bench| bench.digest() == digest).await;
    }

    pub(super) async fn until_refused(&self, part: &str) {
        let refused = |bench: &Self| bench.refused.sentences().iter().any(|why| why.contains(part));
        self.until(part, refused).await;
    }

    pub(super) fn sentences(&self, kind: fn(&RecordKind) -> bool) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let sentence = |event: &Event| match event {
            Event::Noted { kind: record, .. } if kind(record) => Some(record.sentence()),
            _ => None,
        };
        events.iter().filter_map(sentence).collect()
    }

    /// As requested by a user who knows what was removed.
    pub(super) async fn look_now(&self) {
        let (done, looked) = oneshot::channel();
        let (trust, rescan) = (TrustSpec::default(), Duration::from_millis(100));
        self.looks.send(LookNow { trust, rescan, done }).await.unwrap();
        looked.await.unwrap();
    }

    pub(super) async fn approve(&self, name: &str) -> Result<Approved, NotApproved> {
        let (answer, answered) = oneshot::channel();
        let approve = Approve { name: name.to_owned(), seen: None, by: "somebody".to_owned(), answer };
        self.approve.send(approve).await.unwrap();
        answered.await.unwrap()
    }
}

pub(super) fn sandbox(compiler: Compiler) -> Sandbox {
    let limits = LimitsSpec { concurrent_runs: 4, ..LimitsSpec::default() };
    Sandbox::new(&limits, compiler).unwrap().describing_within(PATIENCE)
}

pub(super) fn write(root: &Path, file: &str, content: &[u8]) {
    let new = root.join("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, root.join(file)).unwrap();
}

pub(super) fn is_quarantine(kind: &RecordKind) -> bool {
    matches!(kind, RecordKind::Quarantine { .. })
}

pub(super) fn is_approval(kind: &RecordKind) -> bool {
    matches!(kind, RecordKind::Approval { .. })
}
