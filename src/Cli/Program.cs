return Dnn.Cli.Cli.Main(args);
