module.exports = {
  // the packages are ES modules: Jest is to transform them as it does the app's own files
  transformIgnorePatterns: ["/node_modules/(?!@voxwire/)"],
  transform: {
    "\\.[jt]sx?$": [
      "babel-jest",
      { presets: [["@babel/preset-env", { targets: { node: "20" } }]] },
    ],
  },
  setupFiles: ["<rootDir>/jest.setup.cjs"],
};
