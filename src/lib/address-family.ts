/** Address families of socket(2), as Linux numbers them (linux/socket.h). Pure. */
export const AF = { INET: 2, INET6: 10, NETLINK: 16, PACKET: 17, UNIX: 1 } as const
