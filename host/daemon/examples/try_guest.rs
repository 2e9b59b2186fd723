#![allow(warnings, clippy::all)]
use wasmtime::component::*;
use wasmtime::*;
use wasmtime_wasi::*;
mod c { wasmtime::component::bindgen!({ path: "../../guest-sdk/wit", world: "checker", imports: { default: async }, exports: { default: async } }); }
struct S { ctx: WasiCtx, table: ResourceTable }
impl WasiView for S { fn ctx(&mut self) -> WasiCtxView<'_> { WasiCtxView { ctx: &mut self.ctx, table: &mut self.table } } }
impl c::bellwether::guest::log::Host for S { async fn log(&mut self, l: c::bellwether::guest::log::Level, m: String) { println!("log {l:?} {m}"); } }
impl c::bellwether::guest::state::Host for S {
  async fn get(&mut self, k: String) -> Option<Vec<u8>> { None }
  async fn set(&mut self, k: String, v: Vec<u8>) -> Result<(), String> { Ok(()) }
  async fn remove(&mut self, k: String) {}
}
impl c::bellwether::guest::types::Host for S {}
#[tokio::main]
async fn main() {
  let mut args = std::env::args().skip(1);
  let file = args.next().unwrap(); let config = args.next().unwrap(); let limit: u32 = args.next().unwrap().parse().unwrap();
  let allow = args.next().unwrap() == "allow";
  let mut cfg = Config::new(); cfg.wasm_component_model(true);
  let engine = Engine::new(&cfg).unwrap();
  let t = std::time::Instant::now();
  let comp = Component::from_file(&engine, &file).unwrap();
  println!("compile {:?}", t.elapsed());
  for (n, _) in comp.component_type().imports(&engine) { print!("{n} "); }
  println!("\nexports:"); for (n, _) in comp.component_type().exports(&engine) { println!("  {n}"); }
  let mut linker: Linker<S> = Linker::new(&engine);
  p2::add_to_linker_async(&mut linker).unwrap();
  c::bellwether::guest::log::add_to_linker::<S, HasSelf<S>>(&mut linker, |s| s).unwrap();
  c::bellwether::guest::state::add_to_linker::<S, HasSelf<S>>(&mut linker, |s| s).unwrap();
  let pre = linker.instantiate_pre(&comp).unwrap();
  if std::env::var("SCRIPT").is_ok() { return; }
  let pre = c::CheckerPre::new(pre).unwrap();
  for i in 0..3 {
    let mut b = WasiCtxBuilder::new(); b.inherit_stderr();
    if allow { b.inherit_network().allow_ip_name_lookup(true).allow_tcp(true); }
    let mut store = Store::new(&engine, S { ctx: b.build(), table: ResourceTable::new() });
    let t = std::time::Instant::now();
    let inst = pre.instantiate_async(&mut store).await.unwrap();
    let it = t.elapsed();
    if i == 0 { println!("{:?}", inst.bellwether_guest_describe().call_describe(&mut store).await); }
    let mut store = Store::new(&engine, S { ctx: { let mut b = WasiCtxBuilder::new(); b.inherit_stderr(); if allow { b.inherit_network().allow_ip_name_lookup(true).allow_tcp(true); } b.build() }, table: ResourceTable::new() });
    let inst = pre.instantiate_async(&mut store).await.unwrap();
    let t = std::time::Instant::now();
    let r = inst.bellwether_guest_check().call_check(&mut store, &c::exports::bellwether::guest::check::CheckRequest { node: "n".into(), module: "m".into(), checker: "c".into(), run: 1, config: config.clone(), time_limit_ms: limit, attributes: vec![] }).await;
    println!("inst {it:?} call {:?} {r:?}", t.elapsed());
  }
}
