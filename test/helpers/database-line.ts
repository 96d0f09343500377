// A line to the database that a test can cut and mend.
import { connect, createServer, type Server, type Socket } from 'node:net'

export type DatabaseLine = {
  /** Leads to the same database as the URL that it was made for. */
  url: string
  /** Ends every connection and refuses new ones. */
  cut: () => Promise<void>
  mend: () => Promise<void>
}

type Teardown = { teardown: (work: () => unknown) => void }

export async function startDatabaseLine(t: Teardown, databaseUrl: string): Promise<DatabaseLine> {
  const target = new URL(databaseUrl)
  const directory = target.searchParams.get('host')
  const port = Number(target.port || 5432)
  const open = () =>
    directory?.startsWith('/')
      ? connect(`${directory}/.s.PGSQL.${port}`)
      : connect({ host: target.hostname, port })
  const sockets = new Set<Socket>()
  const keep = (socket: Socket, other: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      other.destroy()
    })
  }
  const serve = (client: Socket) => {
    const server = open()
    keep(client, server)
    keep(server, client)
    client.pipe(server).pipe(client)
  }
  let listener: Server
  const listen = async (port: number) => {
    listener = createServer(serve)
    await new Promise<void>(done => listener.listen(port, '127.0.0.1', done))
    return (listener.address() as { port: number }).port
  }
  const cut = async () => {
    const closed = new Promise(done => listener.close(done))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  const linePort = await listen(0)
  t.teardown(cut)
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String(linePort)
  url.searchParams.delete('host')
  return { url: url.href, cut, mend: async () => void (await listen(linePort)) }
}
