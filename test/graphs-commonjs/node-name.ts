export const nodeName: string = "greet";
