/** Bytes of the binary units that engines and drivers print, whatever they call them. */
export const MIB = 2 ** 20;
export const GIB = 2 ** 30;
