public class Parser { }
