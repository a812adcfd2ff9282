import { busContract } from '../../test/support/bus-contract.ts'
import { MemoryBus } from './memory-bus.ts'

busContract('in memory', async () => {
  const medium = new Set<MemoryBus>()
  const [here, there] = [new MemoryBus(medium), new MemoryBus(medium)]
  return {
    here,
    there,
    lose: () => here.lose('the network is down'),
    restore: () => here.restore(),
    close() {
      here.close()
      there.close()
    },
  }
})
