/** An order as the support desk sees it; amounts are in the main unit of `currency`, dates are ISO. */
export interface Order {
  readonly orderId: string;
  readonly customer: string;
  readonly items: readonly { readonly name: string; readonly quantity: number; readonly price: number }[];
  readonly total: number;
  readonly currency: "EUR" | "USD" | "GBP";
  readonly status: "processing" | "shipped" | "delivered" | "cancelled";
  readonly orderedOn: string;
  readonly shipment?: Shipment;
}

/** Where a parcel is. `deliveredOn` is present once it has arrived. */
export interface Shipment {
  readonly carrier: string;
  readonly trackingNumber: string;
  readonly lastSeen: string;
  readonly expectedOn: string;
  readonly deliveredOn?: string;
}

const ORDERS: readonly Order[] = [
  {
    orderId: "1042",
    customer: "Mara Lindqvist",
    items: [{ name: "Fjord 14 laptop", quantity: 1, price: 899 }],
    total: 899,
    currency: "EUR",
    status: "shipped",
    orderedOn: "2025-03-03",
    shipment: {
      carrier: "NordPost",
      trackingNumber: "NP-55120-7781",
      lastSeen: "sorting centre in Hamburg",
      expectedOn: "2025-03-14",
    },
  },
  {
    orderId: "1043",
    customer: "Jonas Okafor",
    items: [
      { name: "Desk lamp", quantity: 1, price: 34.9 },
      { name: "LED bulb, warm white", quantity: 2, price: 7.5 },
    ],
    total: 49.9,
    currency: "EUR",
    status: "delivered",
    orderedOn: "2025-02-20",
    shipment: {
      carrier: "NordPost",
      trackingNumber: "NP-55087-1204",
      lastSeen: "front door",
      expectedOn: "2025-02-24",
      deliveredOn: "2025-02-24",
    },
  },
  {
    orderId: "1044",
    customer: "Priya Raman",
    items: [{ name: "Standing desk, oak", quantity: 1, price: 640 }],
    total: 640,
    currency: "GBP",
    status: "processing",
    orderedOn: "2025-03-10",
  },
  {
    orderId: "1045",
    customer: "Tom Alvarez",
    items: [{ name: "Noise-cancelling headphones", quantity: 2, price: 249.5 }],
    total: 499,
    currency: "USD",
    status: "delivered",
    orderedOn: "2025-02-11",
    shipment: {
      carrier: "Roadrunner Freight",
      trackingNumber: "RF-9920-331",
      lastSeen: "parcel locker 12",
      expectedOn: "2025-02-17",
      deliveredOn: "2025-02-16",
    },
  },
  {
    orderId: "1046",
    customer: "Ines Moreau",
    items: [{ name: "Office chair", quantity: 1, price: 310 }],
    total: 310,
    currency: "EUR",
    status: "cancelled",
    orderedOn: "2025-01-30",
  },
];

/** The order with this number, whether written `1042`, `#1042` or `ORD-1042`. */
export function findOrder(orderId: string): Order | undefined {
  const digits = orderId.replace(/\D/g, "");
  return ORDERS.find((order) => order.orderId === digits);
}
