//! A way to the server that can be closed: other tests need the server itself.

use std::future::pending;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Nothing moves on any connection, and never will on those there are.
    Silent,
    /// Every connection is closed, and each new one.
    Cut,
}

pub(crate) struct Proxy {
    /// Of the database behind it.
    pub(crate) url: String,
    way: watch::Sender<Way>,
}

impl Proxy {
    pub(crate) async fn start(url: &str) -> Self {
        let (credentials, rest) = url.rsplit_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{credentials}@{}/{name}", listener.local_addr().unwrap());
        let way = watch::Sender::new(Way::Open);
        tokio::spawn(accept(listener, server.to_owned(), way.subscribe()));
        Self { url, way }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn accept(listener: TcpListener, server: String, way: watch::Receiver<Way>) {
    loop {
        let (caller, _) = listener.accept().await.unwrap();
        tokio::spawn(connect(caller, server.clone(), way.clone()));
    }
}

async fn connect(mut caller: TcpStream, server: String, mut way: watch::Receiver<Way>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let closed = async { *way.wait_for(|way| *way != Way::Open).await.unwrap() };
    tokio::select! {
        biased;
        way = closed => if way == Way::Silent {
            pending::<()>().await;
        },
        _ = copy_bidirectional(&mut caller, &mut server) => {}
    }
}
