const nextJest = require("next/jest.js");
const config = require("./jest.config.cjs");

// next/jest brings a transform of its own, and puts its patterns before ours
module.exports = async () => {
  const { transform: _, transformIgnorePatterns, ...own } = config;
  const made = await nextJest({ dir: __dirname })(own)();
  return { ...made, transformIgnorePatterns };
};
