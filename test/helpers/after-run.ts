// Runs once after all test files: the server of the run is gone before the run is.
import { stopServer } from './database-server.ts'

await stopServer()
