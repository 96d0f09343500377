// Networks: which one an address belongs to where requests and guesses are counted, and whether it is in a list of them.
import { BlockList, isIP, isIPv6 } from 'node:net'

/** The addresses and CIDR ranges of a setting, ready to be asked. */
export function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    if (bits === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(bits), familyOf(address))
  }
  return list
}

/** The IPv4 addresses of a list are found in their IPv6 spelling too. */
export const isListed = (list: BlockList, address: string): boolean => list.check(address, familyOf(address))

const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

const mapped = toBlockList(['::ffff:0:0/96'])

/**
 * The network that an address stands for where requests are counted: an IPv4 address itself, of IPv6 the /64,
 * since one household or machine has all of it.
 */
export function networkOf(ip: string): string {
  if (!isIPv6(ip)) return ip
  if (mapped.check(ip, 'ipv6')) return ip.slice(ip.lastIndexOf(':') + 1)
  const [head = '', tail] = (ip.split('%')[0] ?? '').split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups =
    tail === undefined ? before : [...before, ...Array(8 - before.length - after.length).fill('0'), ...after]
  return `${groups
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

/** Whether two addresses surely stand for different networks: of one family, for one household may have an address of each. */
export function inOtherNetworks(a: string | null, b: string | null): boolean {
  if (a === null || b === null) return false
  const [one, other] = [networkOf(a), networkOf(b)]
  return isIPv6(one.replace(/\/64$/, '')) === isIPv6(other.replace(/\/64$/, '')) && one !== other
}
